/** A picture of bars, as SVG that reads on light and dark pages. */

export interface Bar {
  readonly name: string;
  readonly value: number;
}

const [ROW, LEFT, WIDTH, RIGHT] = [26, 330, 360, 60] as const;

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

export function drawBars(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value));
  const height = 44 + bars.length * ROW;
  const rows = bars.map(({ name, value }, index) => {
    const y = 40 + index * ROW;
    const width = Math.max(1, Math.round((value / most) * WIDTH));
    const ours = name.startsWith('model-guard');
    return [
      `  <text x="${LEFT - 10}" y="${y + 14}" text-anchor="end"${ours ? ' font-weight="bold"' : ''}>${escaped(name)}</text>`,
      `  <rect x="${LEFT}" y="${y}" width="${width}" height="18" rx="2" fill="${ours ? '#2f6fde' : '#9aa4b2'}"/>`,
      `  <text x="${LEFT + width + 6}" y="${y + 14}">${value.toFixed(2)}</text>`,
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + RIGHT}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="sans-serif" font-size="13">
  <style>text { fill: #1f2328 } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }</style>
  <text x="10" y="22" font-weight="bold">${escaped(title)}</text>
${rows.join('\n')}
</svg>
`;
}
