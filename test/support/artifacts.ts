import type { ArtifactPlace } from '../../src/database/artifact-place.ts'
import type { Authentic } from '../../src/database/authentic.ts'
import {
  type ArtifactSettings,
  type ArtifactSurroundings,
  openArtifacts,
} from '../../src/server/open-artifacts.ts'

/** The artifacts of the only issuer of a place. */
export function onlyIssuerOf(place: ArtifactPlace, authentic: Authentic) {
  return { ...place.of(authentic), sweep: place.sweep, close: place.close }
}

/** Opens the artifacts of one issuer as a server would that has no other. */
export async function openArtifactsOf(
  settings: ArtifactSettings,
  { authentic, ...surroundings }: ArtifactSurroundings & { readonly authentic: Authentic },
) {
  return onlyIssuerOf(await openArtifacts(settings, surroundings), authentic)
}
