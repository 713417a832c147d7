import assert from "node:assert/strict";
import { test } from "node:test";

import { isOmniRobot } from "../../../web/views/robot.js";
import { field, schemaOf } from "./support.mjs";

const FIELDS = {
  direction: field("direction", "f32"),
  power: field("motor_power", "i8", { count: 3 }),
  sensors: field("sensors", "u16", { count: 5 }),
  obstacle: field("obstacle", "bool"),
};
const isRobot = (more) => isOmniRobot(schemaOf(...Object.values({ ...FIELDS, ...more })));

test("the robot is drawn where its fields are there, with or without a heading", () => {
  assert.equal(isRobot({}), true);
  assert.equal(isRobot({ heading: field("heading", "f32") }), true);
});

test("the robot is not drawn from fields that only have its names", () => {
  assert.equal(isRobot({ obstacle: field("obstacle", "enum", { labels: ["no", "yes"] }) }), false);
  assert.equal(isRobot({ obstacle: field("obstacle", "u8") }), false);
  assert.equal(isRobot({ sensors: field("sensors", "u16", { count: 4 }) }), false);
  assert.equal(isRobot({ power: field("motor_power", "text", { count: 3 }) }), false);
  assert.equal(isRobot({ direction: field("direction", "bool") }), false);
});
