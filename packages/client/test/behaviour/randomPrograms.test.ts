import { testMortalSeeds, testSeeds } from "../utils/randomSeeds.ts"

testSeeds(0, 20)
testMortalSeeds(0, 2)
