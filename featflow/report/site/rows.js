'use strict';

// The rows of a feature table: sorted and filtered, and made only while they are in sight.
class Rows {
  constructor(index, sae, query) {
    Object.assign(this, {index, sae, query, order: [], at: -1, changed: () => {}});
    this.made = new Map();
    this.columns = el('colgroup');
    this.head = el('tr', {'aria-rowindex': 1});
    this.before = el('tbody', {'aria-hidden': 'true'});
    this.body = el('tbody');
    this.after = el('tbody', {'aria-hidden': 'true'});
    this.table = el('table', {class: 'virtual'}, el('caption', {class: 'unseen'},
      `Features of ${index.model}`), this.columns, el('thead', {}, this.head),
    this.before, this.body, this.after);
    this.node = el('div', {class: 'rows', role: 'region', tabindex: 0,
      'aria-label': `Features of ${index.model}`,
      onscroll: () => {
        left.set(`rows ${location.hash}`, this.node.scrollTop);
        this.awaited ??= requestAnimationFrame(() => this.draw());
      }}, this.table);
    this.seen = new ResizeObserver(() => this.draw());
    this.seen.observe(this.node);
  }

  // Filter, sort, and say so in the head.
  choose() {
    const {index, sae, query} = this, other = othersOf(sae, index.model).includes(query.with)
      ? query.with : null;
    this.shown = columnsOf(index, sae, {edge: query.edge, role: query.role, other});
    const column = this.shown.find(one => one.key === query.sort) ?? this.shown[0];
    this.made.clear();
    this.order = sorted(chosen(index, query), column, query.dir === 'desc');
    this.columns.replaceChildren(...this.shown.map(one =>
      el('col', {vars: {width: `${one.width}px`}})));
    this.table.style.width = `${sum(this.shown.map(one => one.width))}px`;
    this.head.replaceChildren(...this.shown.map(one => this.header(one, column)));
    this.table.setAttribute('aria-rowcount', this.order.length + 1);
    this.at = Math.min(this.at, this.order.length - 1);
    this.draw();
  }

  header(one, column) {
    const isOwn = one === column, isDown = this.query.dir === 'desc';
    const sort = () => {
      const isFirst = this.query.sort !== one.key;
      this.query.dir = isFirst ? (one.text || one.key === 'feature' ? 'asc' : 'desc')
        : isDown ? 'asc' : 'desc';
      this.query.sort = one.key;
      this.node.scrollTop = 0;
      this.changed();
      this.head.querySelector(`[data-key="${CSS.escape(one.key)}"] button`).focus();
    };
    return el('th', {scope: 'col', class: one.text || one.isLeft ? 'text' : null,
      'data-key': one.key, 'aria-sort': isOwn ? (isDown ? 'descending' : 'ascending') : null},
    el('button', {type: 'button', title: one.title, onclick: sort}, one.name));
  }

  draw(onPaper = false) {
    if (this.awaited) cancelAnimationFrame(this.awaited);
    this.awaited = null;
    const count = this.order.length, height = this.node.clientHeight;
    const from = onPaper ? 0 : Math.max(Math.floor(this.node.scrollTop / ROW) - BEYOND, 0);
    const seen = onPaper ? ON_PAPER : Math.ceil(height / ROW) + 2 * BEYOND;
    const to = Math.min(from + seen, count);
    const hadFocus = this.body.contains(document.activeElement);
    const kept = this.made;
    this.made = new Map(this.order.slice(from, to).map((i, k) =>
      [from + k, kept.get(from + k) ?? this.row(i, from + k)]));
    for (const [at, row] of this.made) this.mark(row, at);
    this.body.replaceChildren(...this.made.values());
    this.first = from;
    this.space(this.before, from);
    this.space(this.after, onPaper ? 0 : count - to);
    if (hadFocus) (this.link() ?? this.node).focus({preventScroll: true});
    if (count === 0) {
      this.body.append(el('tr', {}, el('td', {colspan: this.shown.length, class: 'text'},
        'No feature is left: clear a filter.')));
    }
  }

  space(part, rows) {
    part.replaceChildren(...(rows > 0
      ? [el('tr', {}, el('td', {colspan: this.shown.length, vars: {height: `${rows * ROW}px`}}))]
      : []));
  }

  row(i, at) {
    const open = event => {
      if (event.target.closest('a') || String(getSelection())) return;
      location.hash = href([this.sae, this.index.model, i]);
    };
    return el('tr', {'aria-rowindex': at + 2, onclick: open, onfocusin: () => { this.at = at; }},
    this.shown.map((one, k) => el(k === 0 ? 'th' : 'td', {scope: k === 0 ? 'row' : null,
      class: one.text ? 'text' : null}, el('div', {}, one.cell(i)))));
  }

  // One row's links can be reached by Tab: that where the reader is.
  mark(row, at) {
    row.classList.toggle('here', at === this.at);
    for (const link of row.querySelectorAll('a')) {
      link.tabIndex = at === Math.max(this.at, 0) ? 0 : -1;
    }
  }

  link() {
    return this.body.rows[this.at - this.first]?.querySelector('a');
  }

  // To another row, which comes into sight.
  move(by) {
    if (this.order.length === 0) return;
    this.at = Math.min(Math.max(this.at + by, 0), this.order.length - 1);
    left.set(`at ${location.hash}`, this.at);
    const top = this.at * ROW, {scrollTop, clientHeight} = this.node, room = clientHeight - 2 * ROW;
    if (top < scrollTop) this.node.scrollTop = top;
    else if (top > scrollTop + room - ROW) this.node.scrollTop = top - room + ROW;
    this.draw();
    this.link()?.focus({preventScroll: true});
  }

  // Where the reader was.
  back() {
    this.at = left.get(`at ${location.hash}`) ?? -1;
    this.node.scrollTop = left.get(`rows ${location.hash}`) ?? 0;
    this.draw();
  }
}
