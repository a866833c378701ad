'use strict';

// A feature's place in the lineage: what it is from, what became of it, and its partners.
function lineage(index, sae, id, feature) {
  const parts = [path(index, sae, id, feature), partners(index, sae, id, feature)].filter(Boolean);
  if (!parts.length) return null;
  return el('section', {class: 'lineage'}, el('h2', {}, 'Lineage and partners'), parts);
}

const linkTo = (sae, model, id) =>
  el('a', {href: href([sae, model, id]), class: 'node'}, el('b', {}, model), ` ${id}`);

const arrow = r => el('span', {class: 'arrow'}, missing(r) ? '' : `r ${fixed(r)}`,
  el('span', {'aria-label': 'leads to'}, ' →'));

// The path as far as links lead: ancestors, the feature, and what its children have of it.
function path(index, sae, id, {chain, partners: found}) {
  const c = index.columns, names = fateNames(index), edges = edgesOf(sae, index.model);
  const fate = one => names[c.fates?.[fatesKey(one)]?.[id]];
  const partner = other => found?.find(one => one.model === other);
  const known = edges.filter(one => fate(one));
  if (!known.length) return null;
  const step = one => {
    const its = partner(one.other), is = fate(one), [sign, word] = fateWord(is, one.role);
    const reaches = is === 'persisting' && its && its.r > study.flow.threshold;
    const isElsewhere = is === 'persisting' && one.role === 'child' && its; // from another parent
    const end = reaches ? linkTo(sae, one.other, its.feature)
      : el('span', {class: 'node none'}, el('b', {}, one.other),
        isElsewhere ? ` r ${fixed(its.r)}` : ` ${sign} ${word}`);
    const way = reaches ? arrow(its.r) : el('span', {class: 'arrow'}, '⇢');
    return el('li', {}, one.role === 'child' ? [end, way] : [way, end]);
  };
  const into = known.filter(one => one.role === 'child');
  const out = known.filter(one => one.role === 'parent');
  const far = chain?.role === 'descendant' && !missing(chain.root_feature) &&
    !missing(chain.parent_feature) && chain.root !== chain.parent;
  const before = far ? el('ul', {}, el('li', {}, linkTo(sae, chain.root, chain.root_feature),
    arrow(chain.r_first),
    isEdge(chain.root, chain.parent) ? null : [el('span', {class: 'quiet'}, '…'), arrow()],
    linkTo(sae, chain.parent, chain.parent_feature), arrow(chain.r_last)),
  into.filter(one => one.other !== chain.parent).map(step))
    : into.length ? el('ul', {}, into.map(step)) : null;
  const label = 'Path through the lineage';
  return el('div', {class: 'scroll', tabindex: 0, role: 'group', 'aria-label': label},
    el('div', {class: 'path'}, before,
      el('span', {class: 'node own'}, el('b', {}, index.model), ` ${id}`),
      out.length ? el('ul', {}, out.map(step)) : null),
    said(chain));
}

const isEdge = (parent, child) => study.edges.some(([a, b]) => a === parent && b === child);

// What chains.parquet says of it, in words.
function said(chain) {
  if (!chain) return null;
  const parts = [
    {persisting: 'Persists in a child', disappearing: 'In no child',
      'base-derived': 'Leads back to a base', 'emerged-in-finetune': 'Emerged on the way here',
      emerging: 'In no parent'}[chain.status] ?? chain.status,
    chain.via ? ` (${chain.via.replaceAll('+', ', ')})` : '',
    missing(chain.r_end) ? '' : `; r of both ends ${fixed(chain.r_end)}`,
    chain.direct ? '; a root’s feature that no model between has matches it' : ''];
  return el('p', {class: 'note'}, words(`${parts.join('')}.`));
}

function partners(index, sae, id, {partners: found}) {
  if (!found?.length) return null;
  const c = index.columns, names = fateNames(index), edges = edgesOf(sae, index.model);
  const fate = other => {
    const one = edges.find(edge => edge.other === other);
    const name = one && names[c.fates?.[fatesKey(one)]?.[id]];
    return name ? fateMark(name, one.role) : UNKNOWN;
  };
  const has = one => !missing(one.feature), scaled = found.some(one => 'nu_error' in one);
  return plainTable('Best partners in the other models',
    [['model', true], ['feature'], ['r'], ['r trimmed'], ['r from its side'],
      ['each other’s best', true], ['on the edge', true], ['r on', true],
      ...(scaled ? [['ν error'], ['ν reconstruction']] : [])],
    found.map(one => [one.model,
      has(one) ? el('a', {href: href([sae, one.model, one.feature])}, String(one.feature))
        : UNKNOWN,
      fixed(one.r), fixed(one.r_trimmed), fixed(one.r_back),
      has(one) ? (one.mutual ? 'yes' : 'no') : UNKNOWN,
      fate(one.model), index.scopes?.[one.model]?.join(', ') ?? UNKNOWN,
      ...(scaled ? [fixed(one.nu_error), fixed(one.nu_reconstruction)] : [])]),
    'Pearson’s r is on the corpora that both models know, or on the whole probe if there are ' +
    'none; trimmed, it leaves out the few rows that contribute most to it. The fate on an edge is ' +
    `judged on the flow’s scope, ${study.flow.scope}, so the two may differ near the threshold; ` +
    'traced is traced to any parent.' + (scaled ?
      ' ν (latent scaling): how much of this feature was in the parent’s activations before, ' +
      'unsaid by its SAE (error) or said by its other features (reconstruction).' : ''));
}
