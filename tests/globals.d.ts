// What Node has by itself, for the check that tests use no name that is nowhere (scripts/lint). Of any type.
declare module "node:*";
declare const Buffer: any;
declare const process: any;
declare const setImmediate: any;
