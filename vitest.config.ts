import { defineConfig } from "vitest/config"
import { projects } from "./vitest.workspace.ts"

// one worker a core; by default vitest leaves one core to itself, half of a small machine
export default defineConfig({ test: { projects, maxWorkers: "100%", minWorkers: 1 } })
