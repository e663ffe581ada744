/** The root command with its global options, and the services that every handler may use. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Data from "effect/Data"
import { choice } from "./options.ts"
import type * as Io from "../terminal/io.ts"
import type * as output from "../terminal/output.ts"

/** The services that a handler may require. @internal */
export type Environment = Io.Io | FileSystem.FileSystem | Path.Path

/** The options that every command takes. @internal */
export interface Global {
  readonly format: output.Format
}

/** The command line names a group of commands, but none of its commands. @internal */
export class MissingCommand extends Data.TaggedError("MissingCommand")<{ readonly name: string }> {}

/** `tinker` itself, without its commands. @internal */
export const root = Command.make("tinker", {
  format: choice("format", "Output format").pipe(Options.withAlias("f"))
}).pipe(
  Command.withHandler(() => new MissingCommand({ name: "tinker" })),
  Command.withDescription("Fine-tune models with Tinker, and manage runs, checkpoints and billing.")
)
