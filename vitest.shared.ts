import { defineConfig } from "vitest/config"

// Workspace packages resolve to their sources, so that a test never reads a stale build.
const conditions = process.env["TEST_DIST"] === undefined ? ["effect-tinker-source"] : []

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    passWithNoTests: true,
    testTimeout: 60_000
  }
})
