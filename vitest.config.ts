import { defineConfig } from "vitest/config"
import { projects } from "./vitest.workspace.ts"

export default defineConfig({
  test: {
    projects,
    // one worker a core; by default vitest leaves one core to itself, half of a small machine
    maxWorkers: "100%",
    minWorkers: 1,
    // The files of a package share what they import: importing all of Effect anew takes longer than most of the tests.
    // The tests of the night are few, and some measure what is made when a module is imported.
    poolOptions: { forks: { isolate: process.env["NIGHTLY"] !== undefined } }
  }
})
