/** Skips the tests of the file that imports it where vocabularies could not be fetched; their set-up has said why. */
import { beforeEach } from "vitest"
import { missing } from "./vocabularies.ts"

beforeEach(({ skip }) => skip(missing, "the vocabularies could not be fetched"))
