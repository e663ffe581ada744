import { mergeConfig } from "vitest/config"
import shared from "../../vitest.shared.ts"

export default mergeConfig(shared, {
  test: { name: "cookbook", setupFiles: ["test/utils/memories.ts"], globalSetup: ["../../scripts/vocabularies.mjs"] }
})
