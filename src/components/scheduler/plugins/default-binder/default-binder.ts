/** DefaultBinder: tells the API server on which node the pod runs. */
import { pods } from '../../../../machinery/client/resources.ts';
import type { PluginFactory } from '../../framework/plugin.ts';
import { status } from '../../framework/status.ts';

export const defaultBinder: PluginFactory = ({ client }) => ({
  name: 'DefaultBinder',
  bind: async (_state, { pod }, nodeName) => {
    const { namespace = '', name = '', uid } = pod.metadata ?? {};
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { namespace, name, ...(uid ? { uid } : {}) },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    };
    try {
      await client.resource(pods).createSubresource({ namespace, name }, 'binding', binding);
      return undefined;
    } catch (error) {
      return status('Error', (error as Error).message);
    }
  },
});
