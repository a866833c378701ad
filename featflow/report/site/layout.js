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
// child's features that it explains; what is in no child and what emerges are stubs.
function bandsOf(rows) {
  const bands = [], entered = new Set(), left = new Set();
  for (const row of rows) {
    const [parent, child] = [row.parent, row.child];
    bands.push(
      {kind: 'persisting', row, source: parent, target: child,
        out: row.persisting, into: row.traced_here ?? row.traced});
    if (!left.has(parent)) {
      const {living, kept} = sizeOf(parent, rows);
      bands.push({kind: 'disappearing', row, source: parent, target: null, out: living - kept,
        into: 0, children: rows.filter(one => one.parent === parent).map(one => one.child)});
    }
    left.add(parent);
    if (!entered.has(child)) {
      bands.push({kind: 'emerging', row, source: null, target: child, out: 0, into: row.emerging});
    }
    entered.add(child);
  }
  return bands;
}

// How many features of a model live, persist into any child, are traced to any parent.
function sizeOf(name, rows) {
  const down = rows.filter(row => row.parent === name), up = rows.filter(row => row.child === name);
  const kept = Math.max(0, ...down.map(row => row.persisting_anywhere ?? row.persisting));
  const traced = Math.max(0, ...up.map(row => row.traced));
  const living = Math.max(kept, traced, ...down.map(row => row.parent_features),
    ...up.map(row => row.child_features));
  return {living, kept, traced};
}

const sum = numbers => numbers.reduce((total, one) => total + one, 0);

// Boxes of the models, all as tall as their living features on one scale, and the ends of the
// bands, in a box of width × height pixels.
function place(columns, rows, bands, width, height) {
  const size = new Map(columns.flat().map(name => [name, Math.max(1, sizeOf(name, rows).living)]));
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
  arrange(rows, bands, boxes, scale);
  return {boxes, scale, reach: Math.max(STUB * (pitch - BAR), 40)};
}

// On each side of a model lies what persists into any child (is traced to any parent), and beside
// it the stub of the rest. Bands share that stretch in the order of where they go to or come from,
// and overlap: two of them by the features that are in both.
function arrange(rows, bands, boxes, scale) {
  const middle = name => (boxes.get(name).top + boxes.get(name).bottom) / 2;
  for (const [name, box] of boxes) {
    const size = sizeOf(name, rows);
    for (const [end, other, thickness, at, matched] of [
      ['source', 'target', 'out', 'from', size.kept],
      ['target', 'source', 'into', 'to', size.traced]]) {
      const here = bands.filter(band => band[end] === name);
      const links = here.filter(band => band[other] !== null);
      links.sort((a, b) => middle(a[other]) - middle(b[other]));
      const room = Math.max(matched, ...links.map(band => band[thickness]));
      const stubs = here.filter(band => band[other] === null);
      const isAbove = links.length > 0 && middle(links[0][other]) > middle(name);
      const begin = box.top + (isAbove ? sum(stubs.map(band => band[thickness])) * scale : 0);
      for (const band of stubs) {
        band[at] = {y: isAbove ? box.top : begin + room * scale,
          thickness: band[thickness] * scale};
      }
      links.forEach((band, i) => {
        const share = links.length > 1 ? i / (links.length - 1) : 0;
        band[at] = {y: begin + share * (room - band[thickness]) * scale,
          thickness: band[thickness] * scale};
      });
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
