//! The order of application is Flux's.

use borax_object::{ObjectId, apply_order};

#[test]
fn kinds_come_in_flux_order_then_by_name() {
    let mut ids: Vec<ObjectId> = [
        "_hook_admissionregistration.k8s.io_ValidatingWebhookConfiguration",
        "b_web_apps_Deployment",
        "a_web_apps_Deployment",
        "a_x_example.com_Widget",
        "_a__Namespace",
        "_hook_admissionregistration.k8s.io_MutatingWebhookConfiguration",
        "_crd_apiextensions.k8s.io_CustomResourceDefinition",
        "a_s__Secret",
        "a_c__ConfigMap",
        "a_x_batch_Job",
    ]
    .iter()
    .map(|text| ObjectId::parse(text).unwrap())
    .collect();
    ids.sort_by(apply_order);
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "CustomResourceDefinition/crd",
            "Namespace/a",
            "ConfigMap/a/c",
            "Secret/a/s",
            "Deployment/a/web",
            "Deployment/b/web",
            "Job/a/x",
            "Widget/a/x",
            "MutatingWebhookConfiguration/hook",
            "ValidatingWebhookConfiguration/hook",
        ]
    );
}
