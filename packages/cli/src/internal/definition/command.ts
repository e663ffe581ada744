/** How a command is declared: its options here, its handler in a module that is loaded when the command runs. */
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { type Environment, type Global, MissingCommand, root } from "./global.ts"

type Handler<A> = (options: A & Global) => Effect.Effect<void, unknown, Environment>

/** A command or a group of commands. Only the handler knows the types of the parsed options. @internal */
export type Definition = Command.Command<string, Environment | Command.Command.Context<"tinker">, unknown, unknown>

/** What a list of commands says about each. @internal */
export interface Summary {
  readonly name: string
  readonly text: string
  readonly commands: ReadonlyArray<Summary>
}

const summaries = new WeakMap<Definition, Summary>()

const withSummary = (definition: Definition, name: string, text: string, commands: ReadonlyArray<Definition> = []) => {
  summaries.set(definition, { name, text, commands: commands.map(summaryOf) })
  return definition
}

/** @internal */
export const summaryOf = (definition: Definition): Summary => summaries.get(definition)!

/**
 * A command. `load` imports the handler, so that help and usage errors do not load what the handler needs.
 * @internal
 */
export const command = <const Config extends Command.Command.Config>(
  name: string,
  description: string,
  config: Config,
  load: () => Promise<Handler<Command.Command.ParseConfig<Config>>>
): Definition =>
  withSummary(
    Command.make(name, config, (options) =>
      Effect.flatMap(root, ({ format }) =>
        Effect.flatMap(Effect.promise(load), (handler) => handler({ ...(options as object), format } as never))
      )
    ).pipe(Command.withDescription(description)) as unknown as Definition,
    name,
    description
  )

/** Commands below a common name, such as `tinker run list` and `tinker run info`. @internal */
export const group = (
  name: string,
  description: string,
  commands: readonly [Definition, ...Array<Definition>]
): Definition =>
  withSummary(
    Command.make(name, {}, () => new MissingCommand({ name })).pipe(
      Command.withDescription(description),
      Command.withSubcommands(commands)
    ) as unknown as Definition,
    name,
    description,
    commands
  )
