import { testMortalSeeds, testSeeds } from "../utils/randomSeeds.ts"

testSeeds(0, 80)
testMortalSeeds(0, 6)
