/**
 * Credentials: the exchange of an API key for a short-lived token, and the description of a key.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"

/**
 * A token that replaces the API key until it expires.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AuthTokenResponse = Schema.Struct({ jwt: Schema.String })

/**
 * @since 0.1.0
 * @category models
 */
export type AuthTokenResponse = typeof AuthTokenResponse.Type

/**
 * The claims of a token that the client reads, without verifying the signature. `exp` and `iat` are in seconds since the
 * epoch.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Claims = Schema.Struct({
  exp: nullish(Schema.Finite),
  iat: nullish(Schema.Finite),
  sub: nullish(Schema.String),
  iss: nullish(Schema.String),
  email: nullish(Schema.String),
  org_id: nullish(Schema.Union(Schema.String, Schema.Finite))
})

/**
 * @since 0.1.0
 * @category models
 */
export type Claims = typeof Claims.Type

/**
 * The description of an API key.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ApiKeyResponse = Schema.Struct({
  key_id: Schema.Int,
  name: nullishWithDefault(Schema.String, () => ""),
  note: nullishWithDefault(Schema.String, () => ""),
  details: Schema.Struct({
    org_details: Schema.Struct({ name: Schema.String }),
    user_details: Schema.Struct({ email: Schema.String })
  })
})

/**
 * @since 0.1.0
 * @category models
 */
export type ApiKeyResponse = typeof ApiKeyResponse.Type
