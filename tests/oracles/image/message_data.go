// Package source has what commit message templates are given, under the name that errors show: the controller's own
// package of that name would bring every cloud's SDK along for this one struct.
package source

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxcd/image-automation-controller/internal/update"
)

// TemplateData is that of internal/source/source.go.
type TemplateData struct {
	AutomationObject types.NamespacedName
	Changed          update.Result
	Values           map[string]string
}
