/** Files of tests, in a temporary directory. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Files {
  /** writes a file, and succeeds with its path */
  readonly write: (name: string, content: string | Uint8Array) => Effect.Effect<string>
  readonly directory: string
}

export const temporary: Effect.Effect<Files, never, FileSystem.FileSystem | Path.Path | Scope.Scope> = Effect.gen(
  function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = yield* Effect.orDie(fs.makeTempDirectoryScoped())
    return {
      directory,
      write: (name, content) => {
        const file = path.join(directory, name)
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
        return Effect.as(Effect.orDie(fs.writeFile(file, bytes)), file)
      }
    }
  }
)

/** Runs a test with the file system. */
export const run = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(NodeContext.layer))
