# A model brings everything that it needs, and needs nothing that a standard runtime lacks.
package archlab.rules.supply_chain.self_contained_graph

import rego.v1

actions := {"supply_chain/register"}

requires := {"evidence.graph.readable"}

# The ONNX standard's own operators.
operator_domains := {"ai.onnx", "ai.onnx.ml"}

onnx_graph := input.evidence.graph

default allow := false

allow if {
	onnx_graph.readable == true
	is_array(onnx_graph.domains)
	count(onnx_graph.domains) > 0
	every domain in onnx_graph.domains {
		domain in operator_domains
	}
	is_array(onnx_graph.outside)
	count(onnx_graph.outside) == 0
	is_array(onnx_graph.oversized)
	count(onnx_graph.oversized) == 0
}

reasons contains {"code": "unreadable", "message": message} if {
	onnx_graph.readable == false
	message := sprintf("model.onnx can't be read as a graph: %v.", [onnx_graph.message])
}

reasons contains {"code": "foreign_operators", "message": message} if {
	is_array(onnx_graph.domains)
	some domain in onnx_graph.domains
	not domain in operator_domains
	message := sprintf("The graph needs operators of %v; only ONNX's own are run here. Convert it without them.", [domain])
}

reasons contains {"code": "external_data", "message": message} if {
	is_array(onnx_graph.outside)
	some found in onnx_graph.outside
	not found.escapes == true
	message := sprintf("Tensor %v is kept in another file (%v). Save the graph as one file.", [found.tensor, found.location])
}

reasons contains {"code": "path_traversal", "message": message} if {
	is_array(onnx_graph.outside)
	some found in onnx_graph.outside
	found.escapes == true
	message := sprintf("Tensor %v would be read from %v, outside the model's folder.", [found.tensor, found.location])
}

reasons contains {"code": "oversized", "message": message} if {
	is_array(onnx_graph.oversized)
	some found in onnx_graph.oversized
	message := sprintf("Tensor %v declares %v elements and has %v bytes.", [found.tensor, found.elements, found.bytes])
}
