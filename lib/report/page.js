"use strict";
// Draws the chosen event, and tells what is under the pointer or the cursor of the arrow keys.
(() => {
  const source = document.getElementById("event-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const [choice, quantity, drawing, text] = ["event-choice", "quantity-choice", "event-drawing", "sensor-text"].map(
    (id) => document.getElementById(id));
  const shapes = [...document.getElementById("sensors").children];
  const places = shapes.map((shape) => {
    const box = shape.getBBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  });
  const cursor = document.getElementById("cursor");
  const marks = ["truth", "predicted"].map((id) => document.getElementById(id));
  // A ring around the true point, a diamond around the predicted one.
  const outlines = { truth: (x, y) => `M${x - 4},${y}a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z`,
    predicted: (x, y) => `M${x},${y - 5}l5,5l-5,5l-5,-5z` };
  const letters = "0123456789abcdefghijklmnopqrstuvwxyz";
  let current = 0;

  function draw() {
    const event = data.events[choice.value];
    const which = Number(quantity.value);
    const palette = data.palettes[which];
    shapes.forEach((shape, sensor) => {
      const step = letters.indexOf(event.colours[which][sensor]);
      shape.setAttribute("class", ["dead", "empty"][step - palette.length] ?? "");
      if (step < palette.length) shape.setAttribute("fill", palette[step]);
    });
    document.getElementById("event-title").textContent = event.title;
    document.getElementById("event-scale").textContent = event.scales[which];
    marks.forEach((mark) => mark.replaceChildren(...event[mark.id].map(([x, y]) => {
      const outline = document.createElementNS("http://www.w3.org/2000/svg", "path");
      outline.setAttribute("d", outlines[mark.id](x, y));
      outline.setAttribute("class", mark.id);
      return outline;
    })));
  }

  function tell(sensor) {
    current = sensor;
    const event = data.events[choice.value];
    const npho = event.npho[sensor];
    const time = event.time[sensor];
    text.textContent = `Sensor ${sensor}, face ${data.faces[data.face[sensor]]}: ` +
      (npho === null ? "dead" : `${npho.toLocaleString("en")} photons, ${time === null ? "no time" : time + " ns"}`);
    [["cx", 0], ["cy", 1]].forEach(([name, axis]) => cursor.setAttribute(name, places[sensor][axis]));
    cursor.setAttribute("visibility", "visible");
  }

  // The nearest sensor within 45 degrees of the direction; y runs downwards.
  function neighbour(dx, dy) {
    const [x, y] = places[current];
    let best = current;
    let shortest = Infinity;
    places.forEach(([px, py], sensor) => {
      const along = (px - x) * dx + (py - y) * dy;
      const across = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      const length = along + 2 * across;
      if (along > 0.1 && across <= along && length < shortest) [best, shortest] = [sensor, length];
    });
    return best;
  }

  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  drawing.addEventListener("keydown", (key) => {
    if (!(key.key in steps)) return;
    key.preventDefault();
    tell(neighbour(...steps[key.key]));
  });
  drawing.addEventListener("focus", () => tell(current));
  drawing.addEventListener("pointermove", (pointer) => {
    const sensor = shapes.indexOf(pointer.target);
    if (sensor >= 0) tell(sensor);
  });
  [choice, quantity].forEach((control) => control.addEventListener("change", () => { draw(); tell(current); }));
})();
