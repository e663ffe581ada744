export * as CheckpointStore from "./CheckpointStore.ts"
export * as Engine from "./Engine.ts"
export * as SafeTensors from "./SafeTensors.ts"
