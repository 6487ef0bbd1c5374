/** What `kinit certs renew` takes, with the words in which kubeadm tells of each certificate. */
export const renewableDescriptions: Readonly<Record<string, string>> = {
  'admin.conf': 'certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself',
  'super-admin.conf': 'certificate embedded in the kubeconfig file for the super-admin',
  'controller-manager.conf': 'certificate embedded in the kubeconfig file for the controller manager to use',
  'scheduler.conf': 'certificate embedded in the kubeconfig file for the scheduler manager to use',
  apiserver: 'certificate for serving the Kubernetes API',
  'apiserver-kubelet-client': 'certificate for the API server to connect to kubelet',
  'front-proxy-client': 'certificate for the front proxy client',
  'etcd-server': 'certificate for serving etcd',
  'etcd-peer': 'certificate for etcd nodes to communicate with each other',
  'etcd-healthcheck-client': 'certificate for liveness probes to healthcheck etcd',
  'apiserver-etcd-client': 'certificate the apiserver uses to access etcd',
};
