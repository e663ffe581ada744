/** What all errors share: the getters beside their fields, and the helpers that define an error's class. */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { Category } from "../../Future.ts"
import { optionalKey } from "../schemas/optional.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("~@effect-tinker/api/TinkerError")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * What every error has beside its fields and its message.
 *
 * @since 0.1.0
 * @category models
 */
export interface ErrorTrait {
  readonly [TypeId]: TypeId
  /** whose fault it is */
  readonly category: Category
  /** whether the same request may succeed later */
  readonly isRetryable: boolean
  /** how long the server asks to wait before a retry */
  readonly retryAfter: Duration.Duration | undefined
}

/** The identifier of an error's schema. @internal */
export const id = (tag: string): string => `@effect-tinker/api/TinkerError/${tag}`

/** The fields of every error; `method` is the operation that failed, such as `forwardBackward`. @internal */
export const commonFields = {
  method: Schema.String,
  requestId: optionalKey(Schema.String),
  cause: optionalKey(Schema.Defect)
}

/** The fields of the error of a failed response. @internal */
export const responseFields = {
  ...commonFields,
  status: Schema.Number,
  detail: Schema.String,
  /** what to do, where that depends on more than the status */
  advice: optionalKey(Schema.String),
  retryAfterMillis: optionalKey(Schema.Number),
  shouldRetry: optionalKey(Schema.Boolean)
}

// TypeScript takes `any` alone as the arguments of a class that is mixed into another.
// oxlint-disable-next-line typescript/no-explicit-any
type AnyClass<A> = new (...args: Array<any>) => A

/** The status of a response by which an `HttpApi` of the user reports the error. @internal */
export const httpStatus = (status: number) => ({ [HttpApiSchema.AnnotationStatus]: status })

/** How the class of an error fills the trait. `category` is absent where it is a field. */
interface Getters<Self> {
  readonly category?: Category
  readonly isRetryable?: (self: Self) => boolean
  readonly retryAfter?: (self: Self) => Duration.Duration | undefined
  readonly message: (self: Self) => string
}

/** Adds the trait to an error's class. By default an error is not retryable. @internal */
export const withTrait = <Class extends AnyClass<object>>(
  Base: Class,
  { category, isRetryable, message, retryAfter }: Getters<InstanceType<Class>>
): Class & AnyClass<ErrorTrait> => {
  const getter = <A>(get: (self: InstanceType<Class>) => A): PropertyDescriptor & ThisType<InstanceType<Class>> => ({
    configurable: true,
    get() {
      return get(this)
    }
  })
  Object.defineProperties(Base.prototype, {
    [TypeId]: { value: TypeId },
    ...(category === undefined ? {} : { category: { value: category } }),
    isRetryable: getter(isRetryable ?? (() => false)),
    retryAfter: getter(retryAfter ?? (() => undefined)),
    message: getter(message)
  })
  return Base as never
}

/** The fields of a failed response that its message and its getters read. */
interface FailedResponseFields {
  readonly method: string
  readonly status: number
  readonly detail: string
  readonly advice?: string
  readonly requestId?: string
  readonly retryAfterMillis?: number
  readonly shouldRetry?: boolean
}

/** Appends the request id, if there is one. @internal */
export const withRequestId = (self: { readonly requestId?: string }, text: string): string =>
  self.requestId === undefined ? text : `${text} (request ${self.requestId})`

const responseMessage = (self: FailedResponseFields, advice: string): string =>
  withRequestId(
    self,
    `${self.method}: the service responded with ${self.status}: ${self.detail || "no reason given"}. ${self.advice ?? advice}`
  )

/**
 * Adds the trait to the class of a failed response's error. The server decides whether and when to
 * retry, except for an error that is `final`; `retryByDefault` decides where the server does not.
 *
 * @internal
 */
export const withResponseTrait = <Class extends AnyClass<FailedResponseFields>>(
  Base: Class,
  options: {
    readonly category: Category
    readonly retryByDefault?: (status: number) => boolean
    readonly final?: boolean
    readonly advice: string
  }
): Class & AnyClass<ErrorTrait> =>
  withTrait(Base, {
    category: options.category,
    message: (self) => responseMessage(self, options.advice),
    ...(options.final === true
      ? {}
      : {
          isRetryable: ({ shouldRetry, status }) => shouldRetry ?? options.retryByDefault?.(status) ?? false,
          retryAfter: ({ retryAfterMillis }) =>
            retryAfterMillis === undefined ? undefined : Duration.millis(retryAfterMillis)
        })
  })
