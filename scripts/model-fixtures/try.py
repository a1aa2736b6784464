import sys, traceback, io, onnx, collections
from pathlib import Path
from cases import cases
from export import export, mapping, initializers
from reference import build
only=sys.argv[1:]
out=Path('/tmp/F/onnx'); out.mkdir(exist_ok=True)
for case in cases:
    if only and case.name not in only: continue
    ps={n:p.detach().numpy() for n,p in build(case).named_parameters()}
    for how in case.exports:
        try:
            b=export(case,how)
            (out/f'{case.name}.{how.name}.onnx').write_bytes(b)
            m=onnx.load_from_string(b)
            f,o=mapping(m,ps)
            print(case.name,how.name,len(b),[(x.domain,x.version) for x in m.opset_import],'functions',len(m.functions),'missing',[p for p in ps if p not in {v[0] for v in f.values()}][:6],'others',[(n,initializers(m)[n].shape) for n in o][:8], sorted(collections.Counter(n.op_type for n in m.graph.node).items()) if len(only)==1 else '')
            print('   ', [(i.name,[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]) for i in list(m.graph.input)+list(m.graph.output)])
        except Exception as e:
            print(case.name,how.name,'FAILED',repr(e)[-600:].replace('\n',' '))
        sys.stdout.flush()
