/** The controllers of nodes, namespaces, service accounts, bootstrap tokens, policies and garbage. */
import type { Controller } from '../framework/controller.ts';

export const clusterControllers: Controller[] = [];
