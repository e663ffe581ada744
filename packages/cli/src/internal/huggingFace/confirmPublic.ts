/** Asks for confirmation before an upload to a repository that everyone can read. */
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"
import * as Io from "../terminal/io.ts"
import type { State } from "./repository.ts"

/** Succeeds if the repository is private, or if the user has agreed to a public one. @internal */
export const confirmPublic = (
  repo: string,
  { isPublic }: State,
  hasAgreed: boolean
): Effect.Effect<void, CliError, Io.Io> =>
  Effect.gen(function* () {
    if (!isPublic || hasAgreed) return
    const io = yield* Io.Io
    const title = `Nothing was uploaded: ${repo} is public`
    if (!io.inIsTerminal) {
      return yield* new CliError({ title, details: "Give --public to agree that everyone can read the weights" })
    }
    yield* io.err(`${repo} is public: everyone can read what is uploaded there.\nUpload the weights? [y/N]: `)
    const answer = yield* io.readLine
    if (!/^y(es)?$/i.test(answer?.trim() ?? "")) return yield* new CliError({ title })
  })
