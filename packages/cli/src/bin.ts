#!/usr/bin/env node
/// <reference types="node" />
/** The program `tinker`: runs the command in this process, maps signals to interruption, and sets the exit code. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { startMain } from "./internal/effect/runtime.ts"
import * as Interrupts from "./internal/terminal/interrupts.ts"
import * as nodeIo from "./internal/terminal/nodeIo.ts"
import * as Tinker from "./Tinker.ts"

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

// the reader of the output has closed the pipe
process.stdout.on("error", () => process.exit(1))
process.stderr.on("error", () => undefined)

let signalled: number | undefined

const interrupts = Interrupts.make()

const codeOf = (exit: Exit.Exit<Tinker.ExitCode>): number => {
  if (!Exit.isSuccess(exit)) return signalled ?? 1
  return exit.value === 0 && interrupts.wasTaken() ? exitCodes.SIGINT : exit.value
}

const main = startMain(
  Effect.provide(Tinker.run(process.argv), [nodeIo.layer(interrupts), NodeContext.layer]),
  (exit) => process.exit(codeOf(exit))
)

for (const [signal, code] of Object.entries(exitCodes)) {
  process.on(signal, () => {
    if (signal === "SIGINT" && interrupts.handle()) return
    // a second signal ends the process at once
    if (signalled !== undefined) process.exit(code)
    signalled = code
    main.interrupt()
  })
}
