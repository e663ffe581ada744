import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Io from "./io.ts"
import type * as output from "./output.ts"

/**
 * What can be typed, apart from what it does: a handler, and all that it needs, is loaded when it is run, so that help
 * and bad input cost nothing.
 */

/** What handlers are given. @internal */
export type Environment = Io.Io | FileSystem.FileSystem | Path.Path

/** @internal */
export interface Global {
  readonly format: output.Format
}

const root = Command.make("tinker", {
  format: Options.choice("format", ["table", "json"]).pipe(
    Options.withAlias("f"),
    Options.withDefault("table" as const),
    Options.withDescription("Output format (default: table)")
  )
}).pipe(Command.withDescription("Fine-tune models with Tinker, and manage what came of it."))

type Handler<A> = (options: A & Global) => Effect.Effect<void, unknown, Environment>

/** A command whose handler is loaded when it is run. */
const leaf = <const Name extends string, const Config extends Command.Command.Config>(
  name: Name,
  description: string,
  config: Config,
  load: () => Promise<Handler<Command.Command.ParseConfig<Config>>>
) =>
  Command.make(name, config, (options) =>
    Effect.flatMap(root, ({ format }) =>
      Effect.flatMap(Effect.promise(load), (handler) => handler({ ...(options as object), format } as never))
    )
  ).pipe(Command.withDescription(description))

const version = leaf("version", "Show the version.", {}, () => import("./handlers/version.ts").then((m) => m.version))

/** @internal */
export const tinker = root.pipe(Command.withSubcommands([version]))
