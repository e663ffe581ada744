/** Error messages in one line. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import { clean } from "../text/clean.ts"

const titleOf = (error: TinkerError.TinkerError): string => {
  switch (error._tag) {
    case "NotFound":
      return "Resource not found"
    case "Unauthorized":
      return "Authentication failed"
    case "PaymentRequired":
      return "Billing issue"
    case "PermissionDenied":
      return "Permission denied"
    case "RateLimited":
      return "Rate limit exceeded"
    case "BadRequest":
      return error.status === 422
        ? "Invalid data provided"
        : error.status === 400
          ? "Invalid request"
          : `API error (status ${error.status})`
    case "Conflict":
    case "FutureExpired":
      return `API error (status ${error.status})`
    case "ServerError":
      return "Internal server error"
    case "TransportError":
      if (error.reason === "TooLarge") return "Response too large"
      if (error.reason === "Certificate") return "Certificate not trusted"
      if (error.reason === "Proxy") return "Proxy error"
      return error.reason === "Timeout" ? "Request timeout" : "Connection failed"
    case "CredentialCommandFailed":
      return "Credential command failed"
    case "InvalidInput":
      return error.method === "TinkerConfig" || error.method === "Credentials" ? "Configuration error" : "Invalid input"
    default:
      return "API error occurred"
  }
}

const oneLine = (text: string): string => clean(text.trim().replace(/\s*\n\s*/g, " "))

/** An error message. Errors of the service have the titles of the Python command. @internal */
export const describe = (error: unknown): string => {
  if (TinkerError.isTinkerError(error)) return oneLine(`${titleOf(error)}: ${error.message}`)
  if (error instanceof Error) return oneLine(error.message || error.name)
  return oneLine(String(error))
}
