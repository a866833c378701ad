'use strict';

// Where the reader is: #/main/lua/12?with=tinystories is {parts: ['main', 'lua', '12'], query}.
function routeOf(hash) {
  const [path, query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const parts = path.split('/').filter(Boolean).map(part => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return {parts, query: new URLSearchParams(query)};
}

function href(parts, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== '' && !missing(value));
  const words = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${words && `?${words}`}`;
}

// From a feature to its table, from a table to the flow: by the address alone, for a page that is
// still being read has none of its own yet.
function upOf(hash) {
  const {parts} = routeOf(hash);
  if (parts.length > 2) return href(parts.slice(0, 2));
  if (parts.length === 2) return href([], parts[0] === saes()[0] ? {} : {sae: parts[0]});
  return parts.length ? '#/' : null;
}

// What is typed changes the address, but is no step of the way back.
function readdress(parts, query) {
  history.replaceState(null, '', href(parts, query));
}

// The list that a reader comes from, so that a page's next is the list's.
const walk = {name: '', order: []};

function neighbours(index, id) {
  const isListed = walk.name === `${index.model}/${index.sae}` && walk.order.includes(id);
  if (!isListed) {
    return {before: id > 0 ? id - 1 : null, after: id + 1 < index.features ? id + 1 : null};
  }
  const at = walk.order.indexOf(id);
  return {
    before: walk.order[at - 1] ?? null,
    after: walk.order[at + 1] ?? null,
    place: `${whole(at + 1)} of ${whole(walk.order.length)} in the list`,
  };
}

// Where the reader left each page, for the way back.
const left = new Map();
