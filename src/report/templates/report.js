// Tooltips in place of the browser's own, and hover and zoom for the similarities. The page is whole without it.
(function () {
  'use strict';
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.setAttribute('role', 'tooltip');
  tip.hidden = true;
  document.body.append(tip);

  function show(text, event) {
    tip.textContent = text;
    tip.hidden = false;
    const gap = 14;
    const right = document.documentElement.clientWidth - tip.offsetWidth - 4;
    const below = event.clientY + gap;
    const fits = document.documentElement.clientHeight - tip.offsetHeight > below;
    tip.style.left = Math.max(4, Math.min(event.clientX + gap, right)) + 'px';
    tip.style.top = (fits ? below : Math.max(4, event.clientY - gap - tip.offsetHeight)) + 'px';
  }

  function hide() {
    tip.hidden = true;
  }

  // The browser's own tooltip comes late and stays small: the titles move to data attributes.
  document.querySelectorAll('svg title').forEach(function (title) {
    const shape = title.parentNode;
    shape.dataset.tip = title.textContent;
    title.remove();
  });

  function onShape(event) {
    if (event.defaultPrevented) return;
    const shape = event.target.closest('[data-tip]');
    if (shape) show(shape.dataset.tip, event);
    else hide();
  }
  document.addEventListener('pointermove', onShape);
  document.addEventListener('pointerdown', onShape);
  document.addEventListener('scroll', hide, true);
  document.addEventListener('keydown', function (event) {
    if (event.key === 'Escape') hide();
  });

  function button(text, label, action) {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.setAttribute('aria-label', label);
    made.addEventListener('click', action);
    return made;
  }

  function rectangle(svg, name) {
    const made = document.createElementNS(svg.namespaceURI, 'rect');
    made.setAttribute('class', name);
    svg.append(made);
    return made;
  }

  function place(shape, x, y, width, height) {
    shape.setAttribute('x', x);
    shape.setAttribute('y', y);
    shape.setAttribute('width', width);
    shape.setAttribute('height', height);
  }

  function heatmap(svg) {
    const rows = svg.dataset.rows.split('\n');
    const cols = svg.dataset.cols.split('\n');
    const values = svg.dataset.values;
    const picture = svg.querySelector('.picture');
    const [left, top, width, height] = ['x', 'y', 'width', 'height'].map(function (name) {
      return Number(picture.getAttribute(name));
    });
    const whole = svg.viewBox.baseVal;
    const home = [whole.x, whole.y, whole.width, whole.height];
    let view = home.slice();
    let dragged = null;

    if (values) {
      svg.querySelector('.blocks').remove();
      const cell = [width / cols.length, height / rows.length];
      const crosses = [rectangle(svg, 'cross-edge'), rectangle(svg, 'cross')];
      crosses.forEach(function (one) {
        one.style.display = 'none';
      });
      const point = function (event) {
        if (event.target.closest('[data-tip]')) return;
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        const col = Math.floor((at.x - left) / cell[0]);
        const row = Math.floor((at.y - top) / cell[1]);
        const inside = rows[row] !== undefined && cols[col] !== undefined;
        crosses.forEach(function (one) {
          one.style.display = inside ? '' : 'none';
          if (inside) place(one, left + col * cell[0], top + row * cell[1], cell[0], cell[1]);
        });
        if (!inside) return;
        const place_of_value = 2 * (row * cols.length + col);
        const digits = values.slice(place_of_value, place_of_value + 2);
        const value = digits === '--' ? 'undefined (constant)' : 'S ' + (parseInt(digits, 32) / 500 - 1).toFixed(2);
        show(svg.dataset.rowModel + ': ' + rows[row] + '\n' + svg.dataset.colModel + ': ' + cols[col] + '\n' + value, event);
        event.preventDefault();
      };
      svg.addEventListener('pointermove', point);
      svg.addEventListener('pointerdown', point);  // a finger does not hover
      svg.addEventListener('pointerleave', function () {
        hide();
        crosses.forEach(function (one) {
          one.style.display = 'none';
        });
      });
    }

    function apply() {
      view[2] = Math.min(view[2], home[2]);
      view[3] = Math.min(view[3], home[3]);
      view[0] = Math.max(home[0], Math.min(view[0], home[0] + home[2] - view[2]));
      view[1] = Math.max(home[1], Math.min(view[1], home[1] + home[3] - view[3]));
      svg.setAttribute('viewBox', view.join(' '));
      svg.style.cursor = view[2] === home[2] ? '' : 'grab';
      svg.style.touchAction = view[2] === home[2] ? '' : 'none';
    }
    // Around a point that keeps its place; without one around the middle.
    function zoom(factor, at) {
      const width_now = Math.max(home[2] / 16, Math.min(home[2], view[2] * factor));
      const real = width_now / view[2];
      const point = at || { x: view[0] + view[2] / 2, y: view[1] + view[3] / 2 };
      view = [point.x - (point.x - view[0]) * real, point.y - (point.y - view[1]) * real, width_now, view[3] * real];
      apply();
    }
    svg.addEventListener('wheel', function (event) {
      if (!event.ctrlKey) return;  // a plain wheel scrolls the page
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8,
           new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()));
    }, { passive: false });
    svg.addEventListener('pointerdown', function (event) {
      if (view[2] === home[2]) return;
      dragged = { x: event.clientX, y: event.clientY, view: view.slice() };
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener('pointermove', function (event) {
      if (!dragged) return;
      const scale = view[2] / svg.clientWidth;
      view[0] = dragged.view[0] - (event.clientX - dragged.x) * scale;
      view[1] = dragged.view[1] - (event.clientY - dragged.y) * scale;
      apply();
    });
    svg.addEventListener('pointerup', function () {
      dragged = null;
    });

    const bar = document.createElement('div');
    bar.className = 'zoom';
    bar.append(
      button('+', 'Zoom in', function () { zoom(0.5, view[2] === home[2] ? { x: left + width / 2, y: top + height / 2 } : null); }),
      button('\u2212', 'Zoom out', function () { zoom(2, null); }),
      button('whole', 'Show the whole matrix', function () { view = home.slice(); apply(); })
    );
    svg.closest('figure').insertBefore(bar, svg.parentNode);
  }
  document.querySelectorAll('svg.heatmap').forEach(heatmap);
})();
