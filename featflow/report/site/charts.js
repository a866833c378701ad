'use strict';

// The histogram of a feature's activations where it fires.
function histogram(counted) {
  const {edges = [], counts = []} = counted ?? {}, most = Math.max(0, ...counts);
  if (most === 0) return el('p', {class: 'quiet'}, 'It fires nowhere on the probe.');
  const width = 300, height = 130, floor = height - 20, top = 14, step = width / counts.length;
  const total = sum(counts), peak = counts.indexOf(most);
  const range = at => `${small(edges[at])} to ${small(edges[at + 1])}`;
  const bars = counts.map((count, at) => {
    const tall = count === 0 ? 0 : Math.max((floor - top) * count / most, 1);
    return svg('g', {}, svg('title', {}, `${range(at)}: ${whole(count)}`),
      svg('rect', {class: 'hit', x: at * step, y: top, width: step, height: floor - top}),
      svg('rect', {class: 'count', x: at * step + 0.5, y: floor - tall, width: step - 1,
        height: tall}));
  });
  const ticks = [0, Math.floor(counts.length / 2), counts.length].map((at, k) =>
    svg('text', {x: at * step, y: height - 5, 'text-anchor': ['start', 'middle', 'end'][k]},
      small(edges[at])));
  return el('div', {}, svg('svg', {class: 'histogram', viewBox: `0 0 ${width} ${height}`,
    role: 'img', 'aria-label': `Histogram of ${plural(total, 'activation')} above 0, from ` +
      `${small(edges[0])} to ${small(edges.at(-1))}; most, ${whole(most)}, from ${range(peak)}`},
  svg('line', {x1: 0, x2: width, y1: floor, y2: floor}), bars, ticks,
  svg('text', {x: 0, y: 10}, whole(most))),
  el('p', {class: 'note'}, `${plural(total, 'firing')}, by activation`));
}
