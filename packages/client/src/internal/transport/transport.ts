/** What all requests of one TinkerClient share. */
import type * as Zstd from "@effect-tinker/api/Zstd"
import type { AccessTokens } from "../auth/accessTokens.ts"
import type { Telemetry } from "../../Telemetry.ts"
import type * as retryReport from "../telemetry/retryReport.ts"
import type { Exchange } from "./exchange.ts"
import type { CommonHeaders } from "./headers.ts"
import type { PaymentPause } from "./paymentPause.ts"

/** @internal */
export interface Transport {
  readonly exchange: Exchange
  /** the largest body of a response, after decompression */
  readonly maxResponseBytes: number
  /** of the service */
  readonly origin: string
  /** what the paths of the contract are appended to */
  readonly basePath: string
  readonly commonHeaders: CommonHeaders
  /** with the number of the call, the idempotency key */
  readonly idempotencyPrefix: string
  readonly zstd: Zstd.Service
  /** whether results are asked for in protobuf, where they may be */
  readonly acceptsProtobuf: boolean
  readonly accessTokens: AccessTokens
  readonly telemetry: Telemetry
  readonly paymentPause: PaymentPause
  /** notes that have been logged */
  readonly deprecations: Set<string>
  /** whether requests have spans of their own, below those of their operations */
  readonly httpSpans: boolean
  /** failures that have been logged when they were retried */
  readonly retryWarnings: retryReport.Warnings
  calls: number
  /** 400s without a body; each success takes one back */
  edgeRejections: number
  /** whether the last attempt got a response */
  isReachable: boolean
}
