/** The errors that are not failed responses: bad input, transport, decoding, and the state of the client. */
import * as Schema from "effect/Schema"
import { optionalKey } from "../schemas/optional.ts"
import { commonFields, httpStatus, id, withRequestId, withTrait } from "./trait.ts"

/**
 * A value was rejected before anything was sent. `path` leads to the field at fault.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidInput extends withTrait(
  Schema.TaggedError<InvalidInput>(id("InvalidInput"))(
    "InvalidInput",
    {
      ...commonFields,
      path: Schema.String,
      reason: Schema.String
    },
    httpStatus(400)
  ),
  { category: "user", message: ({ method, path, reason }) => `${method}: ${path} ${reason}. Nothing was sent.` }
) {}

/**
 * `TINKER_CREDENTIAL_CMD` printed no credential, and no earlier one is still valid. Nothing was sent. The command may
 * succeed the next time, so the request is retried. `exitCode` is set if it is not 0.
 *
 * @since 0.1.0
 * @category errors
 */
export class CredentialCommandFailed extends withTrait(
  Schema.TaggedError<CredentialCommandFailed>(id("CredentialCommandFailed"))(
    "CredentialCommandFailed",
    {
      ...commonFields,
      path: Schema.String,
      reason: Schema.String,
      exitCode: optionalKey(Schema.Number)
    },
    httpStatus(500)
  ),
  {
    category: "user",
    isRetryable: () => true,
    message: ({ method, path, reason }) => `${method}: ${path} ${reason}. Nothing was sent.`
  }
) {}

interface TransportFields {
  readonly reason: "Connection" | "Timeout" | "InvalidUrl" | "TooLarge" | "Certificate" | "Proxy"
  readonly url: string
  readonly detail?: string
  readonly limit?: number | undefined
}

const transportMessage = ({ detail, limit, reason, url }: TransportFields): string => {
  switch (reason) {
    case "TooLarge":
      return `the response of ${url} is larger than ${limit} bytes. Raise maxResponseBytes if that is right`
    case "InvalidUrl":
      return `${url} is no URL of http or https. Check the base URL`
    case "Timeout":
      return `${url} did not respond in time${detail === undefined ? ". Check the network and the service" : `: ${detail}`}`
    default:
      return `${url} could not be reached${detail === undefined ? ". Check the URL and the network" : `: ${detail}`}`
  }
}

/**
 * No response arrived, or one that is larger than the client reads (`TooLarge`). It is not known whether the service
 * received the request, unless the certificate was rejected (`Certificate`) or the proxy did not forward it (`Proxy`).
 * `detail` says what happened and what to do. `proxy` is the URL of the proxy, without user name and password, and
 * `proxyStatus` the status that it responded with.
 *
 * @since 0.1.0
 * @category errors
 */
export class TransportError extends withTrait(
  Schema.TaggedError<TransportError>(id("TransportError"))(
    "TransportError",
    {
      ...commonFields,
      reason: Schema.Literal("Connection", "Timeout", "InvalidUrl", "TooLarge", "Certificate", "Proxy"),
      url: Schema.String,
      detail: optionalKey(Schema.String),
      proxy: optionalKey(Schema.String),
      proxyStatus: optionalKey(Schema.Number),
      /** the largest size in bytes that the client reads, if the response is larger */
      limit: Schema.optional(Schema.Number)
    },
    httpStatus(502)
  ),
  {
    category: "unknown",
    isRetryable: ({ proxyStatus = 500, reason }) =>
      reason === "Connection" || reason === "Timeout" || (reason === "Proxy" && proxyStatus >= 500),
    message: (self) => withRequestId(self, `${self.method}: ${transportMessage(self)}.`)
  }
) {}

/**
 * A successful response did not have the form of the contract.
 *
 * @since 0.1.0
 * @category errors
 */
export class DecodeError extends withTrait(
  Schema.TaggedError<DecodeError>(id("DecodeError"))(
    "DecodeError",
    { ...commonFields, reason: Schema.String },
    httpStatus(502)
  ),
  {
    category: "server",
    message: (self) => withRequestId(self, `${self.method}: the response does not fit the contract: ${self.reason}`)
  }
) {}

/**
 * The service accepted the operation, ran it, and reports that it failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestFailed extends withTrait(
  Schema.TaggedError<RequestFailed>(id("RequestFailed"))(
    "RequestFailed",
    {
      ...commonFields,
      reason: Schema.String,
      category: Schema.Literal("user", "server", "unknown")
    },
    httpStatus(502)
  ),
  { message: (self) => withRequestId(self, `${self.method} failed: ${self.reason}`) }
) {}

const refusedAdvice = {
  NoGradient: "failed before it, so the step lacks its gradient. Submit the whole step again.",
  GradientWaits:
    "was rejected before it, and the gradient of that step still waits on the service. Call the optimizer step again, " +
    "or save the state and continue with a new client from it.",
  NotLoaded: "failed before it, so the model has other weights than the program expects. Load a state again."
} as const

/**
 * An operation of the same step was rejected or failed, so this one was not sent: the service would have applied a step
 * without its gradient, or with that of another. `operation` and `seqId` name that operation, and `cause` is its error.
 * What is called after a program has seen that error, or this one, is a new step.
 *
 * - `NoGradient`: a forward/backward pass failed, and nothing of the step is on the service. Submit the step again.
 * - `GradientWaits`: an optimizer step was rejected, and the service holds its gradient. Only another optimizer step may
 *   follow.
 * - `NotLoaded`: a load failed. What was called before the program has seen that error expects the loaded weights.
 *
 * @since 0.1.0
 * @category errors
 */
export class StepRefused extends withTrait(
  Schema.TaggedError<StepRefused>(id("StepRefused"))(
    "StepRefused",
    {
      ...commonFields,
      operation: Schema.String,
      seqId: Schema.Number,
      reason: Schema.Literal("NoGradient", "GradientWaits", "NotLoaded")
    },
    httpStatus(502)
  ),
  {
    category: "user",
    message: (self) =>
      withRequestId(
        self,
        `${self.method} was not sent: ${self.operation} (seq_id ${self.seqId}) ${refusedAdvice[self.reason]}`
      )
  }
) {}

/**
 * The service holds a part of the gradient of a step: one request of it was rejected or failed, named by `operation` and
 * `seqId`, and others were accepted, and nothing clears those. This operation was not sent, and no gradient is computed or applied
 * by this client again. Saves, samples and forward passes go on: save the state, and continue with a new client from it.
 *
 * @since 0.1.0
 * @category errors
 */
export class PartialGradient extends withTrait(
  Schema.TaggedError<PartialGradient>(id("PartialGradient"))(
    "PartialGradient",
    {
      ...commonFields,
      operation: Schema.String,
      seqId: Schema.Number
    },
    httpStatus(502)
  ),
  {
    category: "user",
    message: (self) =>
      withRequestId(
        self,
        `${self.method} was not sent: ${self.operation} (seq_id ${self.seqId}) was rejected after other parts of its step ` +
          `were accepted, so the service holds a partial gradient. Save the state (saveState works), and continue with ` +
          `createTrainingClientFromStateWithOptimizer.`
      )
  }
) {}

/**
 * It is not known whether the service received an earlier operation of this client, so this one was not sent: it might have
 * trained on another state than the program specified. Saves and forward passes are still sent. Make a new client from the
 * last checkpoint.
 *
 * @since 0.1.0
 * @category errors
 */
export class ClientBroken extends withTrait(
  Schema.TaggedError<ClientBroken>(id("ClientBroken"))(
    "ClientBroken",
    {
      ...commonFields,
      operation: Schema.String,
      seqId: Schema.Number
    },
    httpStatus(503)
  ),
  {
    category: "unknown",
    message: (self) =>
      withRequestId(
        self,
        `${self.method} was not sent: ${self.operation} (seq_id ${self.seqId}) could not be submitted before it. ` +
          `Make a new client from the last checkpoint.`
      )
  }
) {}

/**
 * The client's scope closed before the result arrived. The operation may have been applied.
 *
 * @since 0.1.0
 * @category errors
 */
export class ClientClosed extends withTrait(
  Schema.TaggedError<ClientClosed>(id("ClientClosed"))("ClientClosed", commonFields, httpStatus(503)),
  {
    category: "user",
    message: (self) =>
      withRequestId(
        self,
        `${self.method}: the client was closed before the result arrived; the operation may have been applied. ` +
          `Await the result inside the client's scope.`
      )
  }
) {}

/**
 * A file on this machine exists already, cannot be written, or does not have the expected content. `path` is the file or
 * directory.
 *
 * @since 0.1.0
 * @category errors
 */
export class FileError extends withTrait(
  Schema.TaggedError<FileError>(id("FileError"))(
    "FileError",
    {
      ...commonFields,
      path: Schema.String,
      reason: Schema.String
    },
    httpStatus(500)
  ),
  { category: "user", message: (self) => withRequestId(self, `${self.method}: ${self.path} ${self.reason}`) }
) {}

/**
 * The service has ended the session and unloaded its models; it rejects every further request of the session. Open
 * another session and continue from the last checkpoint.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionLost extends withTrait(
  Schema.TaggedError<SessionLost>(id("SessionLost"))(
    "SessionLost",
    {
      ...commonFields,
      sessionId: Schema.String,
      reason: Schema.String
    },
    httpStatus(503)
  ),
  {
    category: "server",
    message: (self) =>
      withRequestId(
        self,
        `session ${self.sessionId} has ended: ${self.reason}. Open another and continue from the last checkpoint.`
      )
  }
) {}

/**
 * No operation of the client has made progress for a long time. The operation was submitted and may still be applied;
 * the queue state is the last one that the service reported.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoProgress extends withTrait(
  Schema.TaggedError<NoProgress>(id("NoProgress"))(
    "NoProgress",
    {
      ...commonFields,
      waitedMillis: Schema.Number,
      queueState: Schema.String,
      queueStateReason: optionalKey(Schema.String)
    },
    httpStatus(504)
  ),
  {
    category: "server",
    message: (self) => {
      const seconds = Math.round(self.waitedMillis / 1000)
      const reason = self.queueStateReason === undefined ? "" : ` (${self.queueStateReason})`
      return withRequestId(
        self,
        `${self.method}: no progress for ${seconds} s; the last reported queue state is ` +
          `${self.queueState}${reason}. Wait with a longer limit, or report the request id.`
      )
    }
  }
) {}

/**
 * A user's loss function returned no usable gradient. No gradient was applied, and the client remains usable.
 *
 * @since 0.1.0
 * @category errors
 */
export class LossFailed extends withTrait(
  Schema.TaggedError<LossFailed>(id("LossFailed"))(
    "LossFailed",
    {
      ...commonFields,
      path: Schema.String,
      reason: Schema.String
    },
    httpStatus(500)
  ),
  { category: "user", message: ({ method, path, reason }) => `${method}: ${path} ${reason}. No gradient was applied.` }
) {}
