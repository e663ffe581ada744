export * as ModelDirectory from "./ModelDirectory.ts"
