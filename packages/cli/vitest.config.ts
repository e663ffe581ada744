import { mergeConfig } from "vitest/config"
import shared from "../../vitest.shared.ts"

export default mergeConfig(shared, {
  // tests wait for processes, so they wait together
  test: { name: "cli", globalSetup: ["test/utils/setup.ts"], sequence: { concurrent: true } }
})
