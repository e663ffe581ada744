import { mergeConfig } from "vitest/config"
import shared from "../../vitest.shared.ts"

export default mergeConfig(shared, {
  // a test measures the memory of a module, which is made when it is imported
  test: { name: "engine", isolate: true }
})
