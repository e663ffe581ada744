export * as ScriptedHttpClient from "./ScriptedHttpClient.ts"
