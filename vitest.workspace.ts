import { defineWorkspace } from "vitest/config"

// the one list of test projects
export const projects = ["packages/*"]

export default defineWorkspace(projects)
