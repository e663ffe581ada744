import { testSeeds } from "../utils/randomSeeds.ts"

testSeeds(0, 80)
