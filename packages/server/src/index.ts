export * as Engine from "./Engine.ts"
