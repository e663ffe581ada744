export * as JaxEngine from "./JaxEngine.ts"
export * as ModelDirectory from "./ModelDirectory.ts"
