import { fileURLToPath } from "node:url"
import { configDefaults, defineConfig } from "vitest/config"

// Workspace packages resolve to their sources, so that a test never reads a stale build.
const conditions = process.env["TEST_DIST"] === undefined ? ["effect-tinker-source"] : []

// these tests take long, and .ci/nightly runs them
const nightly = process.env["NIGHTLY"] === undefined ? ["**/*.nightly.test.ts"] : []

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...nightly],
    setupFiles: [fileURLToPath(new URL("vitest.setup.ts", import.meta.url))],
    passWithNoTests: true,
    testTimeout: 60_000
  }
})
