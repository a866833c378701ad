'use strict';

// Contexts of a feature, shaded by its activation, and beside them the same tokens under its
// partners in other models.
const KINDS = {top: 'Strongest', interval: 'Interval', random: 'Random'};

// The models beside which contexts are shown: those asked for, else the feature's neighbours.
function besideOf(sae, model, feature, asked) {
  const others = othersOf(sae, model).filter(name =>
    feature.contexts?.some(context => context.others?.[name]));
  if (asked !== null) {
    return {others, on: new Set(asked.split(',').filter(name => others.includes(name)))};
  }
  const near = edgesOf(sae, model).map(one => one.other).filter(name => others.includes(name));
  return {others, on: new Set(innerWidth < 640 ? [] : near.slice(0, innerWidth < 1200 ? 1 : 2))};
}

class Contexts {
  constructor(index, sae, feature, {others, on}) {
    Object.assign(this, {index, sae, feature, others, on});
    this.grid = el('div', {class: 'contexts'});
    this.node = el('section', {'aria-label': 'Contexts'}, el('h2', {}, 'Contexts'),
      this.controls(), this.grid);
    this.scale = new Map(others.map(name => [name, this.most(context => context.others?.[name])]));
    this.own = Math.max(index.columns.max?.[feature.id] ?? 0, this.most(context => context.values));
    this.grid.addEventListener('keydown', event => this.walk(event));
    for (const name of ['mouseover', 'focusin']) {
      this.grid.addEventListener(name, event => this.point(event.target.closest('.tok')));
    }
    for (const name of ['mouseleave', 'focusout']) this.grid.addEventListener(name, hideTip);
    this.draw();
  }

  most(pick) {
    return Math.max(0, ...this.feature.contexts.flatMap(context => pick(context) ?? []));
  }

  controls() {
    const box = (name, isOn, act) => el('label', {}, el('input', {type: 'checkbox', checked: isOn,
      onchange: event => act(event.target.checked)}), ` ${name}`);
    this.boxes = {};
    const usual = {numbers: 'off', lines: 'on'};
    const switches = [['numbers', 'numbers', 'v'], ['lines', 'line breaks', 'l']].map(
      ([key, name, short]) => {
        const isOn = (remembered.get(key) ?? usual[key]) === 'on';
        this.grid.classList.toggle(key, isOn);
        const made = box(name, isOn, value => this.set(key, value));
        this.boxes[key] = made.firstChild;
        this.boxes[key].setAttribute('aria-keyshortcuts', short);
        return made;
      });
    return el('div', {class: 'filter'}, this.others.length ? el('fieldset', {},
      el('legend', {}, 'Partners beside it'), this.others.map(name =>
        box(name, this.on.has(name), value => this.choose(name, value)))) : null, switches);
  }

  set(key, isOn) {
    this.grid.classList.toggle(key, isOn);
    remembered.set(key, isOn ? 'on' : 'off');
  }

  toggle(key) {
    this.boxes[key].checked = !this.boxes[key].checked;
    this.set(key, this.boxes[key].checked);
  }

  // The address says which models are beside: a link shows the same.
  choose(name, isOn) {
    if (isOn) this.on.add(name);
    else this.on.delete(name);
    const names = this.others.filter(other => this.on.has(other));
    history.replaceState(null, '',
      `${href([this.sae, this.index.model, this.feature.id])}?with=${names.join(',')}`);
    around(routeOf(location.hash));
    this.draw();
  }

  draw() {
    const {feature, index} = this, others = this.others.filter(name => this.on.has(name));
    this.grid.style.setProperty('--columns', others.length + 1);
    const contexts = feature.contexts ?? [];
    if (!contexts.length) {
      this.grid.replaceChildren(el('p', {class: 'quiet'}, 'It fires nowhere on the probe.'));
      return;
    }
    const heading = (inside, note) => el('div', {class: 'column'}, inside,
      el('span', {class: 'quiet'}, note));
    const heads = [heading(el('b', {}, index.model), ` max ${small(this.own)}`),
      ...others.map(name => this.partnerHead(name, heading))];
    const groups = [...new Set(contexts.map(context => this.groupOf(context)))];
    this.grid.replaceChildren(
      el('div', {class: 'line heads'}, heads),
      ...groups.map(group => el('section', {'aria-label': group}, el('h3', {}, group),
        contexts.filter(context => this.groupOf(context) === group)
          .map(context => this.line(context, others)))));
  }

  partnerHead(name, heading) {
    const its = this.feature.partners?.find(one => one.model === name);
    const link = its && !missing(its.feature) ? linkTo(this.sae, name, its.feature)
      : el('b', {}, name);
    return heading(link, ` r ${fixed(its?.r)}, max here ${small(this.scale.get(name))}`);
  }

  // Intervals are equal parts of the activation's range, the first from 0.
  groupOf({kind, interval, in_scope: isInScope}) {
    const name = KINDS[kind] ?? kind, {intervals, scope} = this.index;
    if (missing(interval)) {
      return isInScope === false ? `${name} elsewhere: not on ${scope.join(', ')}` : name;
    }
    if (!intervals) return `${name} ${interval + 1}`;
    const [low, high] = [interval, interval + 1].map(i => small(this.own * i / intervals));
    return `${name} ${interval + 1} of ${intervals}, ${low} to ${high}`;
  }

  line(context, others) {
    const where = `${context.corpus}, document ${whole(context.document)}`;
    const about = el('p', {class: 'where'}, `${where} `, el('b', {},
      small(context.values[context.at])));
    const cell = (name, values, scale, head) => el('div', {class: 'cell'}, head,
      values ? this.passage(context, values, scale, name)
        : el('p', {class: 'quiet'}, 'no partner that counts'));
    return el('div', {class: 'line'}, cell(this.index.model, context.values, this.own, about),
      others.map(name => cell(name, context.others?.[name], this.scale.get(name),
        el('p', {class: 'where', 'data-model': name}, `${name} `, el('b', {},
          small(context.others?.[name]?.[context.at]))))));
  }

  // A token has its activation as its shade, in the tip, and in numbers if these are shown.
  passage({ids, at, corpus}, values, scale, model) {
    const {vocabulary} = this.index;
    return el('p', {class: 'passage', dir: 'ltr', role: 'group',
      'aria-label': `${model} on ${corpus}; arrows walk through the tokens`},
    ids.map((id, k) => {
      const value = values[k] ?? 0, share = scale > 0 ? Math.min(value / scale, 1) : 0;
      const text = textOf(vocabulary, id);
      return [el('span', {class: `tok${value > 0 ? ' on' : ''}${k === at ? ' at' : ''}`,
        tabindex: k === at ? 0 : -1, 'data-id': id, 'data-value': value,
        vars: value > 0 ? {'--heat': (0.1 + 0.9 * share).toFixed(3)} : null},
      shown(text), value > 0 ? el('sub', {}, small(value)) : null),
      text.includes('\n') ? el('br') : null];
    }));
  }

  walk(event) {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key], now = event.target.closest('.tok');
    if (!step || !now) return;
    const all = [...now.parentElement.querySelectorAll('.tok')];
    const next = all[all.indexOf(now) + step];
    if (next) {
      for (const one of all) one.tabIndex = one === next ? 0 : -1;
      next.focus();
    }
    event.preventDefault();
  }

  point(tok) {
    if (!tok) {
      hideTip();
      return;
    }
    const id = Number(tok.dataset.id), value = Number(tok.dataset.value);
    showTip(tok, el('b', {}, value > 0 ? small(value) : '0'), ' on ',
      token(this.index.vocabulary, id), el('span', {class: 'quiet'}, ` token ${id}`));
  }
}

// A small note beside what is pointed at.
function showTip(target, ...inside) {
  const tip = document.getElementById('tip');
  tip.replaceChildren(...inside);
  tip.hidden = false;
  const box = target.getClientRects()[0] ?? target.getBoundingClientRect();
  const {offsetWidth: width, offsetHeight: height} = tip;
  tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - width - 8))}px`;
  tip.style.top = `${box.top > height + 8 ? box.top - height - 4 : box.bottom + 4}px`;
}

function hideTip() {
  const tip = document.getElementById('tip'), wasShown = !tip.hidden;
  tip.hidden = true;
  return wasShown;
}
