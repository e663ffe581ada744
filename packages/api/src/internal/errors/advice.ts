/** What to do about a failed response, where its status alone does not say it. */

/** What the advice depends on. @internal */
export interface Rejection {
  /** the operation, such as `saveState` */
  readonly method: string
  readonly status: number
  readonly detail: string
  /** the body is a web page */
  readonly isPage: boolean
}

/** Whether the service has no such route, rather than no such id: by the words of FastAPI, Effect and this project. */
const isMissingRoute = ({ detail, status }: Rejection): boolean => {
  if (status === 405 || status === 501) return true
  return status === 404 && /^(?:not found\.?|there is no (?:GET|POST|PUT|PATCH|DELETE) .*)?$/is.test(detail.trim())
}

const adviceOnConflict = ({ detail, method }: Rejection): string | undefined => {
  if (/seq_?id/i.test(detail)) {
    return "Another program uses this model, or a request was lost: make a new client from the last checkpoint."
  }
  if (/^(?:un)?publish/.test(method) && /already|not published/i.test(detail)) return "There is nothing to change."
  if (!method.startsWith("save")) return undefined
  return /already|exists|taken/i.test(detail) && !/overwrit|being (?:saved|written)/i.test(detail)
    ? "Choose another name, or save with `overwrite: true`."
    : "Choose another name, or wait for the earlier saves of this name."
}

/** @internal */
export const adviceOn = (rejection: Rejection): string | undefined => {
  const { detail, isPage, method, status } = rejection
  // ids of checkpoints without their kind have a message of their own
  if (isMissingRoute(rejection) && !/the id of a checkpoint is/.test(detail)) {
    return `This service has no ${method} at this URL: it may not offer it, or the path of the base URL is wrong.`
  }
  if (isPage) return "A proxy or firewall may have sent it, and not the service: check the base URL and the network."
  switch (status) {
    case 404:
      return /session|model|sampler|future/i.test(detail)
        ? "Check the id, and that its session is still alive."
        : undefined
    case 408:
    case 502:
    case 503:
    case 504:
      return "The service is starting, overloaded or down: try again later."
    case 409:
      return adviceOnConflict(rejection)
    case 413:
      return "Send less in one request."
    default:
      return undefined
  }
}
