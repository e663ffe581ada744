/** Looks up and creates repositories on the Hugging Face hub. */
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"
import * as hub from "./hub.ts"

/** A repository, and the branch in it; the default branch if undefined. @internal */
export interface Destination {
  readonly repo: string
  readonly branch: string | undefined
}

/** @internal */
export interface State {
  readonly isPublic: boolean
  /** The newest commit of the branch; undefined if there is no such branch. */
  readonly head: string | undefined
}

const defaultBranch = "main"

const maxReadmeSize = 4 * 2 ** 20

const infoOf = (client: hub.Client, repo: string, revision: string) =>
  hub.attempt(client, async ({ modelInfo }, access) => {
    const info = await modelInfo({ ...access, name: repo, revision, additionalFields: ["sha"] })
    return { isPublic: info.private !== true, head: info.sha }
  })

/** Nothing where the hub has nothing, or nothing that the token may read: the creation reports which. */
const ifFound = <A>(self: Effect.Effect<A, hub.CallFailure>): Effect.Effect<A | undefined, CliError> =>
  Effect.catchAll(self, ({ error, status }) =>
    status === 401 || status === 403 || status === 404 ? Effect.succeed(undefined) : error
  )

/** The repository on the hub; undefined if there is none, or none that the token may read. @internal */
export const lookUp = (
  client: hub.Client,
  { branch = defaultBranch, repo }: Destination
): Effect.Effect<State | undefined, CliError> =>
  Effect.gen(function* () {
    const info = yield* ifFound(infoOf(client, repo, "HEAD"))
    if (info === undefined || branch === defaultBranch) return info
    const onBranch = yield* ifFound(infoOf(client, repo, branch))
    return { isPublic: info.isPublic, head: onBranch?.head }
  })

/** The README.md at a branch or commit, the default branch if undefined; undefined if there is none. @internal */
export const readme = (
  client: hub.Client,
  repo: string,
  revision: string = defaultBranch
): Effect.Effect<string | undefined, CliError> =>
  Effect.gen(function* () {
    const text = yield* hub.call(client, async ({ downloadFile }, access) => {
      const file = await downloadFile({
        ...access,
        repo: { type: "model", name: repo },
        path: "README.md",
        revision,
        xet: false
      })
      return file === null ? undefined : file.size > maxReadmeSize ? file.size : await file.text()
    })
    if (typeof text !== "number") return text
    return yield* new CliError({
      title: `The README.md of ${repo} is too large to add a model card`,
      details: `It has ${text} bytes: give --no-model-card to leave it as it is`
    })
  })

/** How to create what is missing. @internal */
export interface Creation {
  readonly isPublic: boolean
  /** Whether a new branch starts empty, and not from the default branch. */
  readonly isEmpty: boolean
  /** The accounts whose repositories the token may create, as far as known. */
  readonly owners: ReadonlyArray<string>
}

const creationError = ({ error, status }: hub.CallFailure, repo: string, owners: ReadonlyArray<string>): CliError =>
  status === 403 && !owners.includes(repo.split("/")[0]!)
    ? new CliError({ title: error.title, details: `The token belongs to ${owners.join(", ")}. ${error.details}` })
    : error

/** Creates the repository. Succeeds with its state, also if it exists: some tokens get 403 then, and not 409. */
const create = (client: hub.Client, destination: Destination, { isPublic, owners }: Creation) =>
  Effect.gen(function* () {
    const { repo } = destination
    const created = yield* Effect.either(
      hub.attempt(client, ({ createRepo }, access) =>
        createRepo({ ...access, repo: { type: "model", name: repo }, visibility: isPublic ? "public" : "private" })
      )
    )
    const state = yield* lookUp(client, destination)
    if (state !== undefined) return state
    return yield* created._tag === "Left"
      ? creationError(created.left, repo, owners)
      : new CliError({ title: `${repo} was created, but cannot be read`, details: "Check the scopes of the token" })
  })

/**
 * Creates the repository and the branch where they do not exist. Succeeds with the state, whose visibility is that of the repository.
 * @internal
 */
export const ensure = (
  client: hub.Client,
  destination: Destination,
  creation: Creation
): Effect.Effect<State, CliError> =>
  Effect.gen(function* () {
    const { branch, repo } = destination
    const known = yield* lookUp(client, destination)
    const state = known ?? (yield* create(client, destination, creation))
    if (branch === undefined || state.head !== undefined) return state
    yield* hub
      .attempt(client, ({ createBranch }, access) =>
        createBranch({ ...access, repo: { type: "model", name: repo }, branch, empty: creation.isEmpty })
      )
      .pipe(Effect.catchAll(({ error, status }) => (status === 409 ? Effect.void : error)))
    return (yield* lookUp(client, destination)) ?? state
  })
