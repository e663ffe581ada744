/** Errors in the form of the OpenAI protocol. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import type * as TinkerService from "../../TinkerService.ts"
import { statuses } from "../http/apiErrors.ts"
import * as openAiPaths from "../http/openai/paths.ts"

/** A request that is refused. @internal */
export class OpenAiError extends Data.TaggedError("OpenAiError")<{
  readonly status: number
  readonly message: string
  /** the field at fault */
  readonly param?: string | undefined
  readonly code?: string | undefined
}> {}

/** @internal */
export const invalid = (param: string | undefined, message: string, code?: string): OpenAiError =>
  new OpenAiError({ status: 400, message, param, code })

/** @internal */
export const toBody = (error: OpenAiError) => openAiPaths.errorBody(error)

/** @internal */
export const toResponse = (error: OpenAiError): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(toBody(error), { status: error.status })

/** The rejection of the service. @internal */
export const fromRejection = (rejection: TinkerService.RequestRejection): OpenAiError =>
  new OpenAiError({ status: statuses[rejection._tag] ?? 500, message: rejection.detail })

/** What failed while it was sampled. @internal */
export const fromFailure = ({ category, error }: { readonly category: string; readonly error: string }): OpenAiError =>
  new OpenAiError({ status: category === "user" ? 400 : 500, message: error })
