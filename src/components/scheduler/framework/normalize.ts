/** Brings raw scores into the range of 0 to 100. */
import { maxNodeScore } from './plugin.ts';

/** The largest becomes 100; reversed, the largest becomes 0. In place. */
export function normalizeScores(scores: number[], reverse: boolean): void {
  const largest = Math.max(0, ...scores);
  for (const [i, score] of scores.entries()) {
    if (largest === 0) scores[i] = reverse ? maxNodeScore : score;
    else {
      const scaled = Math.floor((maxNodeScore * score) / largest);
      scores[i] = reverse ? maxNodeScore - scaled : scaled;
    }
  }
}
