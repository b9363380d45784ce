// Reads metres under the pointer, or under a cross that the arrow keys move. `element` holds a figure of
// `depth_view.py`, whose content is replaced with every picture: all handlers are the element's own.
const numbers = new WeakMap();

function depthOf(figure) {
    if (!numbers.has(figure)) {
        const bytes = Uint8Array.from(atob(figure.dataset.values), (c) => c.charCodeAt(0));
        numbers.set(figure, { values: new DataView(bytes.buffer), column: 0, row: 0 });
    }
    return numbers.get(figure);
}

function show(figure, column, row) {
    const { rows, columns, step } = figure.dataset;
    const state = depthOf(figure);
    state.column = Math.min(Math.max(column, 0), columns - 1);
    state.row = Math.min(Math.max(row, 0), rows - 1);
    const metres = state.values.getFloat32(4 * (state.row * columns + state.column), true);
    const [x, y] = [state.column * step, state.row * step];
    const cross = figure.querySelector(".zd-cross");
    cross.hidden = false;
    cross.style.left = `${(100 * (state.column + 0.5)) / columns}%`;
    cross.style.top = `${(100 * (state.row + 0.5)) / rows}%`;
    const value = figure.querySelector(".zd-value");
    value.textContent = `${metres.toFixed(3)} m at column ${x}, row ${y}`;
}

function point(event) {
    const map = event.target.closest(".zd-map");
    if (map === null) return;
    const figure = map.closest(".zd-depth");
    const { left, top, width, height } = map.getBoundingClientRect();
    const column = Math.floor(((event.clientX - left) / width) * figure.dataset.columns);
    const row = Math.floor(((event.clientY - top) / height) * figure.dataset.rows);
    show(figure, column, row);
}

const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function move(event) {
    const figure = event.target.closest(".zd-depth");
    if (figure === null || !(event.key in steps)) return;
    event.preventDefault();
    const { column, row } = depthOf(figure);
    const [right, down] = steps[event.key];
    const pace = event.shiftKey ? 10 : 1;
    show(figure, column + pace * right, row + pace * down);
}

element.addEventListener("pointermove", point);
element.addEventListener("pointerdown", point);
element.addEventListener("keydown", move);
