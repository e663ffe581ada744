export * as JaxEngine from "./JaxEngine.ts"
export * as ModelConfig from "./ModelConfig.ts"
export * as ModelDirectory from "./ModelDirectory.ts"
export * as ModelExport from "./ModelExport.ts"
