'use strict';

// Where the parts of the flow lie: models in columns by generation, bands between them.
const BAR = 12, LABEL = 44, STUB = 0.34, GAP = 14;

// The models of some edges by generation: each as far right as its longest line of ancestors.
function generations(names, pairs) {
  const depth = new Map(names.map(name => [name, 0]));
  for (let round = 0; round < names.length; round++) { // a lineage has no cycles
    for (const [parent, child] of pairs) {
      depth.set(child, Math.max(depth.get(child), depth.get(parent) + 1));
    }
  }
  const columns = [];
  for (const [name, at] of depth) (columns[at] ??= []).push(name);
  return columns.filter(Boolean);
}

// The bands of an SAE's counts: what persists runs from a parent to a child, as wide there as the
// child's features that it explains; what disappears and what emerges are stubs.
function bandsOf(rows) {
  const bands = [], entered = new Set();
  for (const row of rows) {
    const [parent, child] = [row.parent, row.child];
    bands.push(
      {kind: 'persisting', row, source: parent, target: child,
        out: row.persisting, into: row.traced_here ?? row.traced},
      {kind: 'disappearing', row, source: parent, target: null, out: row.disappearing, into: 0});
    if (!entered.has(child)) {
      bands.push({kind: 'emerging', row, source: null, target: child, out: 0, into: row.emerging});
    }
    entered.add(child);
  }
  return bands;
}

const sum = numbers => numbers.reduce((total, one) => total + one, 0);

// Boxes of the models and the ends of the bands, in a box of width × height pixels.
function place(columns, bands, width, height) {
  const names = columns.flat();
  const size = new Map(names.map(name => [name, Math.max(1,
    sum(bands.filter(b => b.source === name).map(b => b.out)),
    sum(bands.filter(b => b.target === name).map(b => b.into)))]));
  const rooms = columns.map(column =>
    (height - LABEL * column.length - GAP) / sum(column.map(name => size.get(name))));
  const scale = Math.max(Math.min(...rooms), 0);
  const pitch = (width - BAR) / Math.max(columns.length - 1, 1), boxes = new Map();
  columns.forEach((column, at) => {
    const used = sum(column.map(name => LABEL + size.get(name) * scale));
    let y = (height - used) / 2;
    for (const name of column) {
      const top = y + LABEL, bottom = top + size.get(name) * scale;
      boxes.set(name, {x: at * pitch, top, bottom, column: at});
      y = bottom;
    }
  });
  arrange(bands, boxes, scale);
  return {boxes, scale, reach: Math.max(STUB * (pitch - BAR), 40)};
}

// The bands at a model lie in the order of where they go to or come from; stubs are in between.
function arrange(bands, boxes, scale) {
  const middle = name => (boxes.get(name).top + boxes.get(name).bottom) / 2;
  for (const [name, box] of boxes) {
    for (const [end, other, thickness] of [
      ['source', 'target', 'out'], ['target', 'source', 'into']]) {
      const here = bands.filter(band => band[end] === name);
      const where = band => (band[other] === null ? middle(name) : middle(band[other]));
      here.sort((a, b) => where(a) - where(b));
      let y = box.top;
      for (const band of here) {
        band[end === 'source' ? 'from' : 'to'] = {y, thickness: band[thickness] * scale};
        y += band[thickness] * scale;
      }
    }
  }
}

// The outline of a part [u, w] of a band from (x0, from) to (x1, to), whose ends are level.
function outline(x0, from, x1, to, u = 0, w = 1) {
  const points = [], steps = 20;
  const at = (one, other, s) => one + (other - one) * s * s * (3 - 2 * s);
  for (let i = 0; i <= steps; i++) {
    const s = u + (w - u) * (i / steps), x = x0 + (x1 - x0) * s;
    const y = at(from.y, to.y, s);
    points.push([x, y, y + at(from.thickness, to.thickness, s)]);
  }
  const say = (x, y) => `${x.toFixed(1)},${y.toFixed(1)}`;
  const there = points.map(([x, top]) => say(x, top));
  const back = points.reverse().map(([x, , bottom]) => say(x, bottom));
  return `M${[...there, ...back].join('L')}Z`;
}
